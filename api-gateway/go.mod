module ticketremaster/api-gateway

go 1.26.0

require (
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/google/uuid v1.6.0
	github.com/valyala/fasthttp v1.77.0
	gopkg.in/yaml.v3 v3.0.1
	ticketremaster/platform v0.0.0
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/molecule-man/go-brrr v1.3.0 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
)

replace ticketremaster/platform => ../platform
