package all

import _ "github.com/milepost-gateway/milepost/carriers/royal-mail" // Royal Mail
