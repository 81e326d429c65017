empty {}
one "a" {}
two "a" "b" { x = 1 }
bare a b { x = 1 }
"quoted" "k" { "x y" = 1 }
map = { a = 1, b = 2, }
map2 = { a = 1 b = 2 }
lists = [1, "two", true, 3.5, [1, [2]], { a = 1 }, { b = 2 }]
lax = [,1,,2,]
adjacent = [[1] [2] 3]
same = 1
same = 2
same { x = 1 }
same { x = 2 }
a.b-c_d = 1
_x = true
été = false
commas = 1, after = 2
oneline { a = 1, b = 2 c = "3" }
deep { er { est "x" { y = {} } } }
emptylist = []
multi = [
  "a", # first
  // second
  "b" /* third */
]
