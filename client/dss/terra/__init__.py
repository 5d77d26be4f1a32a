"""Terra, a platform for analysis: tables for its workspaces, and exports that it imports (docs/terra.md)."""
