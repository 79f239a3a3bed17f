package storage_test

import (
	"testing"

	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

func TestPostgres(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) *storage.Store { return storagetest.Postgres(t).Store })
}
