package all

import _ "github.com/milepost-gateway/milepost/carriers/canada-post" // Canada Post
