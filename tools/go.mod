module headrace/tools

go 1.26

require headrace v0.0.0

require github.com/go-json-experiment/json v1.27.2

replace headrace => ../
