"""From files in the store to the windows of a model, in child processes: fetch, decode, check, prepare.

The child imports this package, so nothing here imports torch, SQLAlchemy or scipy.
"""
