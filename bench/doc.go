// Package bench measures the gateway as a whole against the plainest thing
// that could stand in its place: a hand-written net/http server over lib/pq
// that answers the same bytes from normalised tables with one json_agg query,
// and a hand-written loader that writes the same rows.
//
// Both sides run in one process, on loopback, over one PostgreSQL server,
// under the same load, in turns. What is compared is checked to be equal
// first. Every measurement is bounded in count and in time.
package bench
