package all

import _ "github.com/milepost-gateway/milepost/carriers/australia-post" // Australia Post
