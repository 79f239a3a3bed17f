package all

import _ "github.com/milepost-gateway/milepost/carriers/dhl-unified" // DHL
