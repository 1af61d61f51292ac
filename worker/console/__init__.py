"""The console: web pages, a JSON interface and metrics, all made from the ledger on the server."""
