"""The web page: a description from fields, faces from the description. Speaks to the service over HTTP only."""
