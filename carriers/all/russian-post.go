package all

import _ "github.com/milepost-gateway/milepost/carriers/russian-post" // Russian Post
