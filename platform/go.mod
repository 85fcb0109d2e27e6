module ticketremaster/platform

go 1.26.0
