package all

import _ "github.com/milepost-gateway/milepost/carriers/fourpx" // 4PX
