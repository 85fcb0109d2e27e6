module ticketremaster/user-service

go 1.26.0

require ticketremaster/platform v0.0.0

replace ticketremaster/platform => ../platform
