"""Runtime: one async implementation, run with or without an event loop.

`io` defines what it may await; `async_io` awaits on a running event loop; `sync_io` runs in plain sync code and never
suspends; `deadline` is the timeout that both obey, and `sockets` applies it to a socket.
"""
