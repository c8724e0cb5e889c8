"""What people look like: an embedding of crops, how alike two of them are in nats, and how both are learnt (UMTF)."""
