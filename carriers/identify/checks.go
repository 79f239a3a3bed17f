package identify

import "github.com/milepost-gateway/milepost/parcel"

// digits tells whether s is ASCII digits only, and not empty.
func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// checkGS1 tests the last digit by the rule of the GS1 General Specifications,
// 7.9: weights 3 and 1 alternate from the right, modulo 10. Many carriers use
// it outside of GS1 numbers.
func checkGS1(s string) bool {
	if !digits(s) {
		return false
	}
	sum, weight := 0, 3
	for i := len(s) - 2; i >= 0; i-- {
		sum += int(s[i]-'0') * weight
		weight = 4 - weight
	}
	return (10-sum%10)%10 == int(s[len(s)-1]-'0')
}

// lastDigits applies a check to the end of a number, after a service or
// routing prefix.
func lastDigits(n int, check func(string) bool) func(string) bool {
	return func(s string) bool { return len(s) >= n && check(s[len(s)-n:]) }
}

// checkFedExExpress tests a 12-digit FedEx Express number: weights 3, 1, 7
// repeat from the left over eleven digits, modulo 11, modulo 10.
func checkFedExExpress(s string) bool {
	const weights = "31731731731"
	if len(s) != 12 || !digits(s) {
		return false
	}
	sum := 0
	for i := range weights {
		sum += int(s[i]-'0') * int(weights[i]-'0')
	}
	return sum%11%10 == int(s[11]-'0')
}

// checkMod7 tests a 10-digit DHL Express waybill: the last digit is the rest
// of the first nine by 7.
func checkMod7(s string) bool {
	if len(s) != 10 || !digits(s) {
		return false
	}
	rest := 0
	for i := range 9 {
		rest = (rest*10 + int(s[i]-'0')) % 7
	}
	return rest == int(s[9]-'0')
}

// checkDPD tests the fifteenth character of a DPD parcel label by ISO/IEC
// 7064, modulo 37,36.
func checkDPD(s string) bool {
	value := func(c byte) int {
		switch {
		case c >= '0' && c <= '9':
			return int(c - '0')
		case c >= 'A' && c <= 'Z':
			return int(c-'A') + 10
		}
		return -1
	}
	rest := 36
	for i := range len(s) - 1 {
		v := value(s[i])
		if v < 0 {
			return false
		}
		rest = (rest + v) % 36
		if rest == 0 {
			rest = 36
		}
		rest = rest * 2 % 37
	}
	last := value(s[len(s)-1])
	return last >= 0 && (rest+last)%36 == 1
}

func checkUPS(s string) bool {
	valid, _ := parcel.CheckUPS(s)
	return valid
}
