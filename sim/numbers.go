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

// fourPX is a waybill of 4PX: sixteen digits between its name and CN.
func (n numbers) fourPX(ordinal int) string {
	serial, turn := n.serial(ordinal)
	return fmt.Sprintf("4PX30%02d%04d%08dCN", turn%100, n.mark, serial)
}

// yunExpress is a waybill of YunExpress: YT and sixteen digits.
func (n numbers) yunExpress(ordinal int) string {
	serial, turn := n.serial(ordinal)
	return fmt.Sprintf("YT26%02d%04d%08d", turn%100, n.mark, serial)
}

// sfExpress is a waybill of SF Express: SF and thirteen digits.
func (n numbers) sfExpress(ordinal int) string {
	serial, turn := n.serial(ordinal)
	return fmt.Sprintf("SF%d%04d%08d", 1+turn%9, n.mark, serial)
}

// usps is a package barcode of USPS: twenty-two digits, the last by GS1.
func (n numbers) usps(ordinal int) string {
	serial, turn := n.serial(ordinal)
	return gs1(fmt.Sprintf("92055%04d%04d%08d", n.mark, turn%10_000, serial))
}

// fedex is an express number of FedEx: eleven digits, and a check digit by the
// weights 3, 1 and 7, modulo 11 and 10.
func (n numbers) fedex(ordinal int) string {
	serial, turn := n.serial(ordinal)
	body := fmt.Sprintf("39%d%08d", turn%10, serial)
	sum := 0
	for i, c := range []byte(body) {
		sum += int(c-'0') * [...]int{3, 1, 7}[i%3]
	}
	return body + strconv.Itoa(sum%11%10)
}

// dhl is an identifier of DHL's parcel service in Germany: the prefix of the
// shipper's country, eleven digits, and a check digit by GS1.
func (n numbers) dhl(ordinal int) string {
	serial, turn := n.serial(ordinal)
	return gs1(fmt.Sprintf("00340434%03d%08d", (n.mark+turn)%1000, serial))
}

// australiaPost is an article of a contract customer.
func (n numbers) australiaPost(ordinal int) string {
	serial, turn := n.serial(ordinal)
	return fmt.Sprintf("33SMP%04d%04d%08d", n.mark, turn%10_000, serial)
}

// laPoste is a number of Colissimo: a digit, a letter, eleven digits.
func (n numbers) laPoste(ordinal int) string {
	serial, turn := n.serial(ordinal)
	return fmt.Sprintf("6A%03d%08d", (n.mark+turn)%1000, serial)
}

// canadaPost is a PIN of sixteen digits.
func (n numbers) canadaPost(ordinal int) string {
	serial, turn := n.serial(ordinal)
	return fmt.Sprintf("40%02d%04d%08d", turn%100, n.mark, serial)
}

// gs1 adds the check digit of GS1: weights 3 and 1 from the right.
func gs1(body string) string {
	sum := 0
	for i := range len(body) {
		v := int(body[len(body)-1-i] - '0')
		if i%2 == 0 {
			v *= 3
		}
		sum += v
	}
	return body + strconv.Itoa((10-sum%10)%10)
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
