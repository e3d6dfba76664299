"""Where a run happens: several processes of one machine, or a cluster. Launchers write or start commands."""
