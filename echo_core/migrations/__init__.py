"""The store's tables, revision by revision. `echo_core.database` brings a store to the newest."""
