package all

import _ "github.com/milepost-gateway/milepost/carriers/china-post" // China Post / EMS
