"""One async flow, run with or without an event loop.

`io` says what a flow may await; `native` does it on a running event loop; `blocking` does it in plain sync code, where
nothing ever suspends; `limit` is the time limit that both obey, and `sockets` how a socket does.
"""
