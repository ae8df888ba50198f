"""Registers volunteers and keeps what is known of each: openly what others may know, sealed what is personal."""
