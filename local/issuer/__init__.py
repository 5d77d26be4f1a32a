"""The issuer of tokens on one machine: keys, claims and a sign-in page."""
