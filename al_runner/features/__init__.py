"""Features of images that no fit is needed for: extracted once, kept in a file, and used by every run."""
