"""How bought examples become a `Fitted`: one way a file."""
