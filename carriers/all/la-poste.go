package all

import _ "github.com/milepost-gateway/milepost/carriers/la-poste" // La Poste
