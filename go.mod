module waymark.dev/waymark

go 1.26
