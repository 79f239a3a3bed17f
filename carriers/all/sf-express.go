package all

import _ "github.com/milepost-gateway/milepost/carriers/sf-express" // SF Express
