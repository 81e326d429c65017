a = <<EOT
plain
EOT
b = <<-EOT
    both
      deep
    EOT
c = <<-EOT
  less
    EOT
d = <<EOT
  kept
  EOT
e = <<X_1
X_1
f = <<-E
	tab
	E
g = [<<A
one
A
, "two"]
h = <<EOT
 EOTX
EOT not alone
"${unclosed
EOT
