// Package carrierkit is what adapters share: an HTTP client that paces,
// retries and gives up as a good guest would, a token cache, code tables as
// data, wall clocks read by place, and small tools for sniffing and redacting
// payloads. It knows no carrier.
package carrierkit
