package upupostal_test

import (
	"testing"

	"github.com/milepost-gateway/milepost/carriers/carriertest"
	_ "github.com/milepost-gateway/milepost/carriers/upu-postal"
)

func TestExam(t *testing.T) { carriertest.Run(t, "upu-postal") }
