a = 1
b = <<X
line
X
c = "x"
# end