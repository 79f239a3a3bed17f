package all

import _ "github.com/milepost-gateway/milepost/carriers/yunexpress" // YunExpress
