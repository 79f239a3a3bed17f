package parcel

import "time"

// DropFile is how far a file that a carrier dropped was taken in. Source, name,
// size and digest together are its identity: the same bytes under the same
// name are the same file, whenever it was written.
type DropFile struct {
	// Source names the account and the folder; never with a secret.
	Source string
	// Name within the folder.
	Name string
	// Size in bytes; Digest is SHA-256 in hexadecimal.
	Size   int64
	Digest string
	// Reader names what cuts the file into payloads, with its version: a count
	// of payloads means nothing to another.
	Reader string
	// ModifiedAt is the file's own time as the folder last told it.
	ModifiedAt time.Time
	// Taken is how many payloads, in the order in which the file gives them, are
	// durable or set aside; Observations is what they said. Bad counts lines and
	// payloads that could not be read.
	Taken, Observations, Bad int64
	// DoneAt is when the file was read to its end; zero while it was not.
	DoneAt time.Time
	// UpdatedAt is when this was last written, wall time.
	UpdatedAt time.Time
}
