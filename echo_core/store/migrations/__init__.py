"""The store's tables, revision by revision. `echo_core.store.database` brings a store to the newest."""
