module ticketremaster/api-gateway

go 1.26.0

require (
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/google/uuid v1.6.0
	gopkg.in/yaml.v3 v3.0.1
	ticketremaster/platform v0.0.0
)

replace ticketremaster/platform => ../platform
