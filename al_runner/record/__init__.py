"""What a run leaves behind: its rows, who it is, what it is doing."""
