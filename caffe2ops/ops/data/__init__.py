"""Data in and out of nets: databases, saved blobs, datasets read at a cursor, printing; and blobs that nets share."""
