return { label = "golden", timezone = "Europe/Madrid" }
