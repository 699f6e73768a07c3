"""Who is asked, and in which order. Pure: how the routes are doing, and chance, come in as arguments.

`candidates` says who may answer, `ranking` in which order they are asked: with `preference`, which is stronger than any
order, and `expected`, what a request will use. `explain` tells all of it to people. The orders:

* `"priority"`: as they are listed.
* `"weighted"`: by chance; of many requests each route is the first for its share of the weights.
* `"least_busy"`: the fewest calls in flight for its size, which is its limit where all limits are known, or else its
  weight; full ones after the others.
* `"fastest"`: of two drawn by chance, the one whose answers have begun sooner of late, then the others by the same
  measure. One request in twenty goes first to a route that has not been measured, or else to any: so that none is
  judged for ever by an old figure, or by none.
* `"cheapest"`: by the expected cost of this very request: its tokens by their estimated number, what the vendor has in
  its prompt cache at the price of cache reads, long inputs at theirs, a usual answer. Unknown prices come last.
* A function of one's own, `(request, routes, standings) -> routes`: any of the candidates, in any order. If it fails,
  its error is logged and the routes stay as they are listed.

Whatever the order: routes good at the task come before the others, then those of the vendor with whom a tool loop is
open, and backups last. Sorting is stable: what says nothing leaves the routes as they were.

A conversation stays with its prompt cache. A route is warm if its model gave the latest answer in the history, as far
as that can be told, and what it had read then is long enough to be kept (1,024 tokens). With `"cheapest"` a warm route
pays less for that part, and no more: it is the first only if that makes it the cheapest. A warm route that is well goes
first with `"weighted"`; with `"least_busy"` it counts one call less and wins a tie; with `"fastest"` it goes first if
its answers begin at most a quarter later than those of the one that would. `"priority"` and functions are explicit, and
stay as they are.

With `"weighted"`, `"least_busy"` and `"fastest"`, routes that cannot be asked now go behind those that can. In the
other orders they keep their place, and are passed over when their turn comes.
"""
