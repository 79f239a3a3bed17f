package storage_test

import (
	"testing"

	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

func TestSQLite(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) *storage.Store { return storagetest.SQLite(t).Store })
}
