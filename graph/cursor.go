package graph

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/milepost-gateway/milepost/parcel"
)

// Cursors writes places in lists as strings that tell nothing and cannot be
// made up: a bare counter would tell others' volume, and an edited one would
// reach places nobody was given.
//
// A cursor is base64url of a synthetic IV (HMAC-SHA256 over the list's name and
// the place, cut to 16 bytes) and the place encrypted under it with AES-256 in
// counter mode: authenticated and deterministic, so that one place has one
// cursor on every replica (the construction of RFC 5297, with HMAC as the PRF).
// It is safe for concurrent use.
type Cursors struct {
	mac   []byte
	block cipher.Block
}

// NewCursors makes cursors under a deployment's secret, of at least 16 bytes.
// Whoever has another secret can neither read nor make them.
func NewCursors(secret []byte) (*Cursors, error) {
	if len(secret) < 16 {
		return nil, fmt.Errorf("cursor secret of %d bytes: want at least 16: %w", len(secret), parcel.ErrInvalid)
	}
	derive := func(use string) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte("milepost cursor " + use))
		return h.Sum(nil)
	}
	block, err := aes.NewCipher(derive("encrypt"))
	if err != nil {
		return nil, fmt.Errorf("cursor secret: %w", err)
	}
	return &Cursors{mac: derive("authenticate"), block: block}, nil
}

func (c *Cursors) iv(list string, place []byte) []byte {
	h := hmac.New(sha256.New, c.mac)
	h.Write([]byte(list))
	h.Write([]byte{0})
	h.Write(place)
	return h.Sum(nil)[:aes.BlockSize]
}

// Seal writes a place in the named list. A cursor of one list does not open in
// another.
func (c *Cursors) Seal(list string, place []byte) string {
	iv := c.iv(list, place)
	sealed := make([]byte, len(iv)+len(place))
	copy(sealed, iv)
	cipher.NewCTR(c.block, iv).XORKeyStream(sealed[len(iv):], place)
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// Open reads what Seal wrote for the same list. Anything else is an InputError
// of kind parcel.ErrInvalid.
func (c *Cursors) Open(list, cursor string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(sealed) < aes.BlockSize {
		return nil, badCursor()
	}
	iv, place := sealed[:aes.BlockSize], make([]byte, len(sealed)-aes.BlockSize)
	cipher.NewCTR(c.block, iv).XORKeyStream(place, sealed[aes.BlockSize:])
	if !hmac.Equal(iv, c.iv(list, place)) {
		return nil, badCursor()
	}
	return place, nil
}

func badCursor() error {
	return parcel.Invalidf(parcel.FaultMalformed, "", "not a cursor of this list")
}

const changeLog = "changes"

// SealPosition writes a place in the change log: one cursor for `changes`,
// subscriptions and everything else that reads the log.
func (c *Cursors) SealPosition(position int64) string {
	return c.Seal(changeLog, binary.BigEndian.AppendUint64(nil, uint64(position)))
}

// OpenPosition reads what SealPosition wrote.
func (c *Cursors) OpenPosition(cursor string) (int64, error) {
	place, err := c.Open(changeLog, cursor)
	if err != nil {
		return 0, err
	}
	if len(place) != 8 {
		return 0, badCursor()
	}
	return int64(binary.BigEndian.Uint64(place)), nil
}

// SealFields writes a place that is named by several texts, none of which holds
// a zero byte.
func (c *Cursors) SealFields(list string, fields ...string) string {
	var b bytes.Buffer
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(0)
		}
		b.WriteString(f)
	}
	return c.Seal(list, b.Bytes())
}

// OpenFields reads n texts that SealFields wrote.
func (c *Cursors) OpenFields(list, cursor string, n int) ([]string, error) {
	place, err := c.Open(list, cursor)
	if err != nil {
		return nil, err
	}
	parts := bytes.Split(place, []byte{0})
	if len(parts) != n {
		return nil, badCursor()
	}
	fields := make([]string, n)
	for i, p := range parts {
		fields[i] = string(p)
	}
	return fields, nil
}
