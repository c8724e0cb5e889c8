"""Phones that send their own sensors: uploads and logged walks in, PhoneBatch messages out; no sockets in here."""
