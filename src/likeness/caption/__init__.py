"""Every face described: by a vision-language model, from labels, or both; by one machine or a team."""
