"""Response cache: reuses responses to identical requests.

`key` computes the cache key of a request, `entry` serializes a response, `single_flight` coalesces identical concurrent
requests. The stores are `memory`, `sqlite` and `redis`, behind the interface in `store`. `semantic` finds responses to
paraphrases.
"""
