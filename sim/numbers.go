package sim

import (
	"fmt"
	"strconv"

	"github.com/milepost-gateway/milepost/parcel"
)

// numbers hands out tracking numbers in the carriers' true forms, with true
// check digits. Each ordinal of a seed has a serial of its own, and the serials
// from publicSerial up are kept for the scenarios, which have the same numbers
// under every seed.
type numbers struct{ shift, mark uint64 }

const (
	// publicSerial is the first serial of the scenarios, and the number of those
	// below it.
	publicSerial = 99_000_000
	// serialStep walks the serials so that neighbouring shipments do not have
	// neighbouring numbers. It has no factor in common with publicSerial.
	serialStep = 38_196_601
)

func numbersOf(seed uint64) numbers {
	h := scramble(seed)
	return numbers{shift: h % publicSerial, mark: h >> 32 % 10_000}
}

// serial is the ordinal's own, below publicSerial; turn counts how often the
// serials were used up before it.
func (n numbers) serial(ordinal int) (serial, turn uint64) {
	u := uint64(ordinal)
	return (u%publicSerial*serialStep + n.shift) % publicSerial, u / publicSerial
}

// s10 is a number of the postal union. When the serials of a service indicator
// are used up, its second letter moves on.
func (n numbers) s10(service string, ordinal int, origin parcel.Country) string {
	serial, turn := n.serial(ordinal)
	if turn > 0 {
		service = string([]byte{service[0], 'A' + (service[1]-'A'+byte(turn))%26})
	}
	return s10(service, serial, origin)
}

func s10(service string, serial uint64, origin parcel.Country) string {
	digits := fmt.Sprintf("%08d", serial)
	check, err := parcel.CheckDigit(digits)
	if err != nil {
		panic(err) // eight digits always have one
	}
	return service + digits + strconv.Itoa(check) + string(origin)
}

// cainiao is an order number of Cainiao's: LP and fourteen digits. A second
// one of the same parcel has another generation.
func (n numbers) cainiao(ordinal, generation int) string {
	serial, turn := n.serial(ordinal)
	return fmt.Sprintf("LP%d%d%04d%08d", generation, turn%10, n.mark, serial)
}

// ups is a 1Z number under a shipper's account of the seed's own.
func (n numbers) ups(ordinal int) string {
	serial, turn := n.serial(ordinal)
	// Seven digits of the serial; the eighth goes into the shipper's account.
	account := fmt.Sprintf("%c%04d%d", 'A'+byte(turn%26), n.mark, serial/10_000_000)
	return ups(account, "03", serial%10_000_000)
}

func ups(account, service string, serial uint64) string {
	body := fmt.Sprintf("%s%s%07d", account, service, serial)
	sum := 0
	for i, c := range []byte(body) {
		v := int(c - '0')
		if c >= 'A' {
			v = int(c-'A'+2) % 10
		}
		if i%2 == 1 {
			v *= 2
		}
		sum += v
	}
	return "1Z" + body + strconv.Itoa((10-sum%10)%10)
}

// russian is a domestic number of Russian Post: the index of the office of
// posting, the month's serial, the item's, and a check digit.
func (n numbers) russian(ordinal int) string {
	serial, turn := n.serial(ordinal)
	return russian(140_000+serial/10_000_000+100*(turn%20), serial%10_000_000)
}

func russian(index, serial uint64) string {
	body := fmt.Sprintf("%06d%07d", index, serial)
	sum := 0
	for i, c := range []byte(body) {
		v := int(c - '0')
		if i%2 == 0 {
			v *= 3
		}
		sum += v
	}
	return body + strconv.Itoa((10-sum%10)%10)
}
