--- Does nothing.
playbook { title = "Nothing" }
step("Nothing", function() end)
