"""Subscriptions, and the notifications that they bring about."""
