// Package gateway is the front door: it takes GraphQL requests over HTTP,
// server-sent events and WebSocket, learns who asks, refuses what is too
// large or too dear before anything is validated or run, has the rest
// executed, and writes the answers. Beside GraphQL it opens the door for
// carriers' webhooks and for pages.
//
// The transports follow the GraphQL over HTTP draft (May 2025),
// the graphql-transport-ws protocol and the distinct connections mode of the
// GraphQL over SSE protocol.
package gateway
