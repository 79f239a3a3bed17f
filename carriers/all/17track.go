package all

import _ "github.com/milepost-gateway/milepost/carriers/17track" // 17TRACK
